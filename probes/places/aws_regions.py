"""Regions of AWS and of its other partitions, written by hand. Pure.

Sources: AWS General Reference "Regions and endpoints", AWS European Sovereign Cloud, the descriptions of regions in
botocore's `partitions.json` (me-west-1 Saudi Arabia, sa-west-1 Chile), and for us-south-1 its bare mention in
`ip-ranges.json`: no source names its country, so it is not known. Nor is eu-isoe-west-1, whose partition is British.
"""

from __future__ import annotations

from typing import Final

from probes.places.site import regions

AWS: Final = regions("""
af-south-1 ZA cape-town
ap-east-1 HK hong-kong
ap-east-2 TW taipei
ap-northeast-1 JP tokyo
ap-northeast-2 KR seoul
ap-northeast-3 JP osaka
ap-south-1 IN mumbai
ap-south-2 IN hyderabad
ap-southeast-1 SG singapore
ap-southeast-2 AU sydney
ap-southeast-3 ID jakarta
ap-southeast-4 AU melbourne
ap-southeast-5 MY kuala-lumpur
ap-southeast-6 NZ auckland
ap-southeast-7 TH bangkok
ca-central-1 CA montreal
ca-west-1 CA calgary
cn-north-1 CN beijing
cn-northwest-1 CN ningxia
eu-central-1 DE frankfurt
eu-central-2 CH zurich
eu-north-1 SE stockholm
eu-south-1 IT milan
eu-south-2 ES aragon
eu-west-1 IE dublin
eu-west-2 GB london
eu-west-3 FR paris
eusc-de-east-1 DE brandenburg
il-central-1 IL tel-aviv
me-central-1 AE dubai
me-south-1 BH manama
me-west-1 SA saudi-arabia
mx-central-1 MX queretaro
sa-east-1 BR sao-paulo
sa-west-1 CL santiago
us-east-1 US ashburn
us-east-2 US columbus
us-gov-east-1 US united-states
us-gov-west-1 US united-states
us-iso-east-1 US united-states
us-iso-west-1 US united-states
us-isob-east-1 US united-states
us-isob-west-1 US united-states
us-isof-east-1 US united-states
us-isof-south-1 US united-states
us-south-1 ? united-states
us-west-1 US san-francisco
us-west-2 US boardman
""")

AWS_CODES: Final = regions("""
abe US allentown
akl NZ auckland
ath GR athens
atl US atlanta
ber DE berlin
bkk TH bangkok
bna US nashville
bos US boston
bue AR buenos-aires
ccu IN kolkata
chi US chicago
cjj KR cheongju
clt US charlotte
cmn MA casablanca
cph DK copenhagen
del IN delhi
den US denver
dfw US dallas
dkr SN dakar
dss SN dakar
dtm DE dortmund
dtw US detroit
foe US topeka
ham DE hamburg
han VN hanoi
hel FI helsinki
hnl US honolulu
iah US houston
ist TR istanbul
jan US jackson
kix JP osaka
las US las-vegas
lax US los-angeles
lim PE lima
lon GB london
los NG lagos
man GB manchester
mci US kansas-city
mct OM muscat
mia US miami
mnl PH manila
msp US minneapolis
muc DE munich
nrt JP tokyo
nyc US new-york
pdx US portland
per AU perth
phl US philadelphia
phx US phoenix
qro MX queretaro
sbn US south-bend
scl CL santiago
sea US seattle
sel KR seoul
sfo US san-francisco
sin SG singapore
tpa US tampa
tpe TW taipei
tyo JP tokyo
was US washington
waw PL warsaw
yto CA toronto
""")
"""Codes of Local Zones and Wavelength Zones, from the tables "Available Local Zones" and "Available Wavelength Zones".
They are IATA codes of airports or cities. A zone may be in another country than its parent Region: Istanbul, Warsaw,
Athens, Hamburg, Copenhagen and Helsinki hang on eu-central-1 and eu-north-1, Querétaro, Lima, Santiago and Buenos Aires
on us-east-1, Casablanca on eu-west-3."""
