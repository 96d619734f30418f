"""Regions of Azure by their long names, and the short codes of its service tags, written by hand. Pure.

Sources: Microsoft Learn "List of Azure regions", "Azure service tags". Regions that only the service tags list are
given the country that Microsoft wrote into their names; `northeurope2` names none, so it is not known. Microsoft names
a state or a city and not always the site, so some cities are far from exact, and have the radius to show for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.places.site import regions

AZURE: Final = regions("""
australiacentral AU canberra
australiacentral2 AU canberra
australiaeast AU sydney
australiasoutheast AU melbourne
austriaeast AT vienna
belgiumcentral BE brussels
bleufrancecentral FR paris
bleufrancesouth FR marseille
brazilnortheast BR ?
brazilsouth BR sao-paulo
brazilsoutheast BR rio-de-janeiro
canadacentral CA toronto
canadaeast CA quebec
centralindia IN pune
centralus US iowa
centraluseuap US united-states
chilecentral CL santiago
chinaeast CN shanghai
chinaeast2 CN shanghai
chinaeast3 CN nantong
chinanorth CN beijing
chinanorth2 CN beijing
chinanorth3 CN hebei
denmarkeast DK copenhagen
eastasia HK hong-kong
eastus US virginia
eastus2 US virginia
eastus2euap US united-states
eastus3 US atlanta
francecentral FR paris
francesouth FR marseille
germanynorth DE berlin
germanywestcentral DE frankfurt
indiasouthcentral IN hyderabad
indonesiacentral ID jakarta
israelcentral IL tel-aviv
israelnorthwest IL israel-north-west
italynorth IT milan
japaneast JP tokyo
japanwest JP osaka
jioindiacentral IN nagpur
jioindiawest IN jamnagar
koreacentral KR seoul
koreasouth KR busan
malaysiasouth MY malaysia-south
malaysiawest MY kuala-lumpur
mexicocentral MX queretaro
newzealandnorth NZ auckland
northcentralus US illinois
northeurope IE dublin
northeurope2 ? ?
norwayeast NO oslo
norwaywest NO stavanger
polandcentral PL warsaw
qatarcentral QA doha
southafricanorth ZA johannesburg
southafricawest ZA cape-town
southcentralus US texas
southcentralus2 US united-states
southeastasia SG singapore
southeastus US united-states
southeastus3 US united-states
southindia IN chennai
spaincentral ES madrid
swedencentral SE gavle
swedensouth SE staffanstorp
switzerlandnorth CH zurich
switzerlandwest CH geneva
taiwannorth TW taipei
taiwannorthwest TW taipei
uaecentral AE abu-dhabi
uaenorth AE dubai
uksouth GB london
ukwest GB cardiff
usdodcentral US iowa
usdodeast US virginia
usgovarizona US arizona
usgoviowa US iowa
usgovtexas US texas
usgovvirginia US virginia
usstagec US united-states
usstagee US united-states
westcentralus US wyoming
westeurope NL amsterdam
westindia IN mumbai
westus US san-francisco
westus2 US washington-state
westus3 US arizona
""")

SHORT_CODES: Final[Mapping[str, str]] = MappingProxyType(
    dict(
        line.split()
        for line in """
brazilne brazilnortheast
brazilse brazilsoutheast
centralfrance francecentral
chilec chilecentral
germanyn germanynorth
germanywc germanywestcentral
norwaye norwayeast
norwayw norwaywest
southfrance francesouth
switzerlandn switzerlandnorth
switzerlandw switzerlandwest
""".strip().splitlines()
    )
)
"""What service tags call a region: to its long name."""


def region_name(text: str) -> str:
    """The long name for a long name, a display name or a tag's code: `Germany West Central` and `germanywc` alike."""
    plain = text.replace(" ", "").lower()
    return SHORT_CODES.get(plain, plain)
