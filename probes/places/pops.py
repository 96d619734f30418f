"""Points of presence of CDNs: codes in headers, and where the airports are that the codes are named after. Pure.

CDNs name a point of presence after an airport near it, and say so nowhere in exact terms: a code stands for its
airport's city, within `POP_RADIUS_M`. Headers are the CDN's words, which the vendor may rewrite: a claim, not a proof.
Coordinates are rounded to a hundredth of a degree, written by hand, and held against another table by the tests.
Sources: CloudFront, Fastly and Cloudflare documentation of `x-amz-cf-pop`, `x-served-by` and `cf-ray`; IATA codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from probes.places.cities import City, degrees

POP_RADIUS_M: Final = 120_000
"""How far from its airport a point of presence may be: Frankfurt's is called HHN by one CDN, after Hahn."""

MAX_HOPS: Final = 16


@dataclass(frozen=True, slots=True)
class Pop:
    """A point of presence by its code; `city` is None for a code that the table does not hold."""

    code: str
    city: City | None


def pop(code: str) -> Pop:
    """The point of presence of an IATA code, whatever the case."""
    return Pop(code.upper(), AIRPORTS.get(code.upper()))


_CLOUDFRONT: Final = re.compile(r"([A-Z]{3})[0-9]{1,3}(?:-[A-Z]{1,2}[0-9]{1,3})?")
_FASTLY: Final = re.compile(r"cache-[a-z]{3,4}(?:[0-9]+|-[a-z0-9]+)-([A-Z]{3})")
_CLOUDFLARE: Final = re.compile(r"[0-9a-f]{16}-([A-Z]{3})")


def cloudfront_pop(x_amz_cf_pop: str) -> Pop | None:
    """From `x-amz-cf-pop: JFK52-P2`; None where the header is not of that form."""
    match = _CLOUDFRONT.fullmatch(x_amz_cf_pop.strip())
    return pop(match[1]) if match else None


def fastly_pops(x_served_by: str) -> tuple[Pop, ...]:
    """From `x-served-by: cache-fra-eddf8230055-FRA, cache-lcy1128-LCY`, in its order: nearest to the origin first.

    Empty where any part is not of that form, or where there are more than `MAX_HOPS`.
    """
    parts = x_served_by.split(",", MAX_HOPS)
    matches = [_FASTLY.fullmatch(part.strip()) for part in parts]
    found = [pop(match[1]) for match in matches if match]
    return tuple(found) if len(found) == len(parts) <= MAX_HOPS else ()


def cloudflare_pop(cf_ray: str) -> Pop | None:
    """From `cf-ray: 8f3c2a1b4d5e6f70-FRA`; None where the header is not of that form."""
    match = _CLOUDFLARE.fullmatch(cf_ray.strip())
    return pop(match[1]) if match else None


def _airports(text: str) -> Iterator[tuple[str, City]]:
    for row in text.replace("\n", ";").split(";"):
        if fields := row.split():
            code, country, lat, lon = fields
            yield code, City(code, country, degrees(lat, lon), POP_RADIUS_M)


AIRPORTS: Final[Mapping[str, City]] = MappingProxyType(
    dict(
        _airports("""
ABJ CI 5.26 -3.93; ABQ US 35.04 -106.61; ACC GH 5.61 -0.17; ADD ET 8.98 38.80; ADL AU -34.95 138.53
AKL NZ -37.01 174.79; ALA KZ 43.35 77.04; ALG DZ 36.69 3.22; AMM JO 31.72 35.99; AMS NL 52.31 4.76
ANC US 61.17 -150.00; ANR BE 51.19 4.46; ARI CL -18.35 -70.34; ARN SE 59.65 17.92; ASU PY -25.24 -57.52
ATH GR 37.94 23.94; ATL US 33.64 -84.43; AUH AE 24.43 54.65; AUS US 30.19 -97.67; BAH BH 26.27 50.63
BCN ES 41.30 2.08; BEG RS 44.82 20.31; BER DE 52.37 13.50; BEY LB 33.82 35.49; BFI US 47.53 -122.30
BGI BB 13.07 -59.49; BGW IQ 33.26 44.23; BHY CN 21.54 109.29; BKK TH 13.68 100.75; BLR IN 13.20 77.71
BMA SE 59.35 17.94; BNA US 36.12 -86.68; BNE AU -27.38 153.12; BNU BR -26.83 -49.09; BOD FR 44.83 -0.72
BOG CO 4.70 -74.15; BOM IN 19.09 72.87; BOS US 42.36 -71.01; BRU BE 50.90 4.48; BSB BR -15.87 -47.92
BTS SK 48.17 17.21; BUD HU 47.44 19.26; BUF US 42.94 -78.73; BUR US 34.20 -118.36; BWI US 39.18 -76.67
CAI EG 30.12 31.41; CAN CN 23.39 113.30; CBR AU -35.31 149.20; CCS VE 10.60 -66.99; CCU IN 22.65 88.45
CDG FR 49.01 2.55; CEB PH 10.31 123.98; CGH BR -23.63 -46.66; CGK ID -6.13 106.66; CGP BD 22.25 91.81
CGY PH 8.42 124.61; CHC NZ -43.49 172.53; CHI US 41.79 -87.75; CLE US 41.41 -81.85; CLT US 35.21 -80.94
CMB LK 7.18 79.88; CMH US 40.00 -82.89; CMN MA 33.37 -7.59; CNF BR -19.63 -43.97; CNN IN 11.92 75.55
CNX TH 18.77 98.96; COR AR -31.32 -64.21; CPH DK 55.62 12.66; CPT ZA -33.96 18.60; CTU CN 30.58 103.95
CUN MX 21.04 -86.87; CUR CW 12.19 -68.96; CVG US 39.05 -84.66; CWB BR -25.53 -49.18; CXH CA 49.29 -123.12
DAC BD 23.84 90.40; DAL US 32.85 -96.85; DAR TZ -6.88 39.20; DCA US 38.85 -77.04; DEL IN 28.57 77.10
DEN US 39.86 -104.67; DFW US 32.90 -97.04; DKR SN 14.74 -17.49; DLA CM 4.01 9.72; DME RU 55.41 37.91
DMM SA 26.47 49.80; DOH QA 25.26 51.57; DPS ID -8.75 115.17; DTW US 42.21 -83.35; DUB IE 53.42 -6.27
DUR ZA -29.61 31.12; DUS DE 51.29 6.77; DXB AE 25.25 55.36; EBB UG 0.04 32.44; EDI GB 55.95 -3.37
EVN AM 40.15 44.40; EWR US 40.69 -74.17; EZE AR -34.82 -58.54; FCO IT 41.80 12.25; FIH CD -4.39 15.44
FJR AE 25.11 56.32; FLN BR -27.67 -48.55; FOR BR -3.78 -38.53; FRA DE 50.03 8.54; FSD US 43.58 -96.74
FUK JP 33.59 130.45; GBE BW -24.56 25.92; GDL MX 20.52 -103.31; GIG BR -22.81 -43.25; GMP KR 37.56 126.79
GOT SE 57.66 12.28; GRU BR -23.43 -46.47; GUA GT 14.58 -90.53; GUM GU 13.48 144.80; GVA CH 46.24 6.11
GYD AZ 40.47 50.05; GYE EC -2.16 -79.88; HAM DE 53.63 9.99; HAN VN 21.22 105.81; HEL FI 60.32 24.96
HFA IL 32.81 35.04; HHN DE 49.95 7.26; HIO US 45.54 -122.95; HKG HK 22.31 113.91; HND JP 35.55 139.78
HNL US 21.32 -157.92; HRE ZW -17.93 31.09; HYD IN 17.23 78.43; IAD US 38.94 -77.46; IAH US 29.98 -95.34
ICN KR 37.47 126.45; IND US 39.72 -86.29; ISB PK 33.62 73.10; IST TR 40.98 28.82; ITM JP 34.79 135.44
JAX US 30.49 -81.69; JED SA 21.68 39.16; JFK US 40.64 -73.78; JHB MY 1.64 103.67; JIB DJ 11.55 43.16
JNB ZA -26.14 28.25; KBP UA 50.35 30.89; KCH MY 1.48 110.35; KEF IS 63.99 -22.61; KGL RW -1.97 30.14
KHH TW 22.58 120.35; KHI PK 24.91 67.16; KIN JM 17.94 -76.79; KIV MD 46.93 28.93; KIX JP 34.43 135.24
KTM NP 27.70 85.36; KUL MY 2.75 101.71; KWI KW 29.23 47.97; LAD AO -8.86 13.23; LAS US 36.08 -115.15
LAX US 33.94 -118.41; LCA CY 34.88 33.62; LCY GB 51.51 0.06; LED RU 59.80 30.26; LGA US 40.78 -73.87
LGB US 33.82 -118.15; LHE PK 31.52 74.40; LHR GB 51.47 -0.46; LIM PE -12.02 -77.11; LIN IT 45.45 9.28
LIS PT 38.78 -9.14; LOS NG 6.58 3.32; LUN ZM -15.33 28.45; LUX LU 49.63 6.21; LYS FR 45.73 5.09
MAA IN 12.99 80.17; MAD ES 40.49 -3.57; MAN GB 53.35 -2.27; MBA KE -4.03 39.59; MCI US 39.30 -94.71
MCT OM 23.59 58.28; MDE CO 6.16 -75.42; MDW US 41.79 -87.75; MEL AU -37.67 144.84; MEM US 35.04 -89.98
MEX MX 19.44 -99.07; MFE US 26.18 -98.24; MFM MO 22.15 113.59; MGM US 32.30 -86.39; MIA US 25.79 -80.29
MLA MT 35.86 14.48; MLE MV 4.19 73.53; MNL PH 14.51 121.02; MPM MZ -25.92 32.57; MRS FR 43.44 5.22
MRU MU -20.43 57.68; MSP US 44.88 -93.22; MSQ BY 53.88 28.03; MUC DE 48.35 11.79; MXP IT 45.63 8.73
NAG IN 21.09 79.05; NBO KE -1.32 36.93; NOU NC -22.01 166.21; NQZ KZ 51.02 71.47; NRT JP 35.76 140.39
OKA JP 26.20 127.65; OKC US 35.39 -97.60; OMA US 41.30 -95.89; ORD US 41.98 -87.90; ORF US 36.89 -76.20
ORY FR 48.72 2.38; OSL NO 60.19 11.10; OTP RO 44.57 26.10; OUA BF 12.35 -1.51; PAO US 37.46 -122.12
PBM SR 5.45 -55.19; PDK US 33.88 -84.30; PDX US 45.59 -122.60; PER AU -31.94 115.97; PHL US 39.87 -75.24
PHX US 33.43 -112.01; PIT US 40.49 -80.23; PMO IT 38.18 13.09; PNH KH 11.55 104.84; POA BR -29.99 -51.17
POS TT 10.60 -61.34; PPT PF -17.56 -149.61; PRG CZ 50.10 14.26; PTY PA 9.07 -79.38; QPG SG 1.36 103.91
QRO MX 20.62 -100.19; RDU US 35.88 -78.79; RGN MM 16.91 96.13; RIC US 37.51 -77.32; RIX LV 56.92 23.97
ROB LR 6.23 -10.36; RUH SA 24.96 46.70; RUN RE -20.89 55.51; SAN US 32.73 -117.19; SAP HN 15.45 -87.92
SAT US 29.53 -98.47; SAW TR 40.90 29.31; SCL CL -33.39 -70.79; SDQ DO 18.43 -69.67; SEA US 47.45 -122.31
SFO US 37.62 -122.38; SGN VN 10.82 106.65; SHA CN 31.20 121.34; SIN SG 1.35 103.99; SJC US 37.36 -121.93
SJO CR 9.99 -84.21; SJU PR 18.44 -66.00; SKG GR 40.52 22.97; SKP MK 41.96 21.62; SLC US 40.79 -111.98
SMF US 38.70 -121.59; SNA US 33.68 -117.87; SOF BG 42.70 23.41; SSA BR -12.91 -38.33; STL US 38.75 -90.37
STR DE 48.69 9.22; SVO RU 55.97 37.41; SVX RU 56.74 60.80; SYD AU -33.95 151.18; SZX CN 22.64 113.81
TBS GE 41.67 44.95; TGU HN 14.06 -87.22; TIA AL 41.41 19.72; TLH US 30.40 -84.35; TLL EE 59.41 24.83
TLS FR 43.63 1.37; TLV IL 32.01 34.89; TNR MG -18.80 47.48; TPA US 27.98 -82.53; TPE TW 25.08 121.23
TUN TN 36.85 10.23; TXL DE 52.56 13.29; UIO EC -0.13 -78.36; ULN MN 47.84 106.77; VCP BR -23.01 -47.13
VIE AT 48.11 16.57; VNO LT 54.63 25.29; WAW PL 52.17 20.97; WDH NA -22.48 17.47; WLG NZ -41.33 174.81
WRO PL 51.10 16.89; WSI AU -33.89 150.72; XMN CN 24.54 118.13; YHZ CA 44.88 -63.51; YOW CA 45.32 -75.67
YUL CA 45.47 -73.74; YVR CA 49.19 -123.18; YWG CA 49.91 -97.24; YXE CA 52.17 -106.70; YYC CA 51.11 -114.02
LON GB 51.51 -0.13; NYC US 40.71 -74.01; OSA JP 34.69 135.50; PAR FR 48.86 2.35; TYO JP 35.68 139.65
WAS US 38.91 -77.04
YYZ CA 43.68 -79.63; ZAG HR 45.74 16.07; ZDM PS 31.86 35.26; ZRH CH 47.46 8.55
""")
    )
)
"""By IATA code."""
