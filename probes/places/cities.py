"""Where the cities are that clouds name for their regions: for physics, which needs a point and how far off it may be.

Coordinates are those of the named city or, where a provider names a state, of its middle, to a hundredth of a degree
(about one kilometre), written by hand from general geography and held against other tables by the tests. No provider
publishes where its halls stand. A region's availability zones are up to 100 km apart (AWS, "Regions and Availability
Zones"), so the radius of uncertainty is 150 km unless the last column says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

RADIUS_M: Final = 150_000
"""How far from its city a region may be."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point on the globe in millionths of a degree: north and east are positive."""

    lat: int
    lon: int

    def __post_init__(self) -> None:
        if not (-90_000_000 <= self.lat <= 90_000_000 and -180_000_000 <= self.lon <= 180_000_000):
            raise ValueError(
                "a point has a latitude of at most 90 and a longitude of at most 180 degrees, in microdegrees"
            )

    def worded(self) -> str:
        """In degrees, exactly."""
        return f"{_degrees(self.lat)}, {_degrees(self.lon)}"


def _degrees(micro: int) -> str:
    whole, part = divmod(abs(micro), 1_000_000)
    return f"{'-' if micro < 0 else ''}{whole}.{part:06d}"


def degrees(lat: str | Decimal, lon: str | Decimal) -> Point:
    """A point from decimal degrees, rounded to microdegrees. Raises ValueError for what is no point on the globe."""
    try:
        parts = [round(Decimal(value) * 1_000_000) for value in (lat, lon)]
    except (ArithmeticError, ValueError):
        raise ValueError("write a latitude and a longitude in degrees, as in 50.11 and 8.68") from None
    return Point(parts[0], parts[1])


@dataclass(frozen=True, slots=True)
class City:
    """A named place: its country, a point, and how far from the point it may be, in metres."""

    name: str
    country: str
    point: Point
    radius_m: int = RADIUS_M


def _cities(text: str) -> Iterator[tuple[str, City]]:
    for line in text.strip().splitlines():
        name, country, lat, lon, *radius_km = line.split()
        radius = int(radius_km[0]) * 1000 if radius_km else RADIUS_M
        yield name, City(name, country, degrees(lat, lon), radius)


CITIES: Final[Mapping[str, City]] = MappingProxyType(
    dict(
        _cities(
            """
abilene US 32.45 -99.73
abu-dhabi AE 24.45 54.38
al-ain AE 24.21 55.74
alabama US 34.72 -86.10 250
allentown US 40.60 -75.48
amsterdam NL 52.37 4.90
aragon ES 41.65 -0.89
arizona US 33.45 -112.07
ashburn US 39.04 -77.49
athens GR 37.98 23.73
atlanta US 33.75 -84.39
auckland NZ -36.85 174.76
bangkok TH 13.75 100.50
batam ID 1.05 104.03
beijing CN 39.90 116.41
berlin DE 52.52 13.40
boardman US 45.84 -119.70 300
bogota CO 4.71 -74.07
boston US 42.36 -71.06
brandenburg DE 52.40 12.50
brussels BE 50.85 4.35
buenos-aires AR -34.60 -58.38
busan KR 35.18 129.08
calgary CA 51.04 -114.07
canberra AU -35.28 149.13
cape-town ZA -33.92 18.42
cardiff GB 51.48 -3.18
casablanca MA 33.57 -7.59
changhua TW 24.05 120.52
charlotte US 35.23 -80.84
chennai IN 13.08 80.27
cheongju KR 36.64 127.49
chicago US 41.88 -87.63
chuncheon KR 37.88 127.73
columbus US 39.96 -83.00
copenhagen DK 55.68 12.57
council-bluffs US 41.26 -95.86
crissier CH 46.55 6.57
dakar SN 14.69 -17.45
dallas US 32.78 -96.80
dammam SA 26.42 50.09
delhi IN 28.70 77.10
denver US 39.74 -104.99
detroit US 42.33 -83.05
doha QA 25.29 51.53
dortmund DE 51.51 7.47
dubai AE 25.20 55.27
dublin IE 53.35 -6.26
eemshaven NL 53.44 6.83
frankfurt DE 50.11 8.68
gavle SE 60.67 17.14
gazipur BD 24.00 90.42
geneva CH 46.20 6.14
hamburg DE 53.55 9.99
hamina FI 60.57 27.19
hanoi VN 21.03 105.85
hebei CN 38.04 114.51 250
helsinki FI 60.17 24.94
hong-kong HK 22.32 114.17
honolulu US 21.31 -157.86
houston US 29.76 -95.37
hyderabad IN 17.39 78.49
ibaraki JP 34.82 135.57
illinois US 41.88 -87.63
iowa US 41.59 -93.62 250
israel-north-west IL 32.80 35.00
istanbul TR 41.01 28.98
jackson US 32.30 -90.18
jakarta ID -6.21 106.85
jamnagar IN 22.47 70.06
jeddah SA 21.49 39.19
jerusalem IL 31.77 35.21
johannesburg ZA -26.20 28.05
kansas-city US 39.10 -94.58
kolkata IN 22.57 88.36
kragujevac RS 44.01 20.91
kuala-lumpur MY 3.14 101.69
kulai MY 1.66 103.60
lagos NG 6.52 3.38
las-vegas US 36.17 -115.14
lima PE -12.05 -77.04
london GB 51.51 -0.13
los-angeles US 34.05 -118.24
madrid ES 40.42 -3.70
malaysia-south MY 1.49 103.74
manama BH 26.23 50.59
manchester GB 53.48 -2.24
manila PH 14.60 120.98
marseille FR 43.30 5.37
melbourne AU -37.81 144.96
miami US 25.76 -80.19
milan IT 45.46 9.19
minneapolis US 44.98 -93.27
moncks-corner US 33.20 -80.01
monterrey MX 25.69 -100.32
montreal CA 45.50 -73.57
mumbai IN 19.08 72.88
munich DE 48.14 11.58
muscat OM 23.59 58.41
nagpur IN 21.15 79.09
nantong CN 32.06 120.87
nashville US 36.16 -86.78
new-york US 40.71 -74.01
newport GB 51.58 -3.00
ningxia CN 37.27 106.17 250
oklahoma US 36.30 -95.30 250
osaka JP 34.69 135.50
oslo NO 59.91 10.75
paris FR 48.86 2.35
perth AU -31.95 115.86
philadelphia US 39.95 -75.17
phoenix US 33.45 -112.07
portland US 45.52 -122.68
pune IN 18.52 73.86
quebec CA 46.81 -71.21
queretaro MX 20.59 -100.39
ratingen DE 51.30 6.85
rio-de-janeiro BR -22.91 -43.17
riyadh SA 24.71 46.68
saint-ghislain BE 50.47 3.81
salt-lake-city US 40.76 -111.89
saudi-arabia SA 23.89 45.08 1200
san-francisco US 37.77 -122.42
san-jose US 37.34 -121.89
santiago CL -33.45 -70.67
sao-paulo BR -23.55 -46.63
seattle US 47.61 -122.33
seoul KR 37.57 126.98
shanghai CN 31.23 121.47
singapore SG 1.35 103.82
south-bend US 41.68 -86.25
staffanstorp SE 55.64 13.21
stavanger NO 58.97 5.73
stockholm SE 59.33 18.07
suwon KR 37.26 127.03
sydney AU -33.87 151.21
taipei TW 25.03 121.57
tampa US 27.95 -82.46
tel-aviv IL 32.09 34.78
texas US 29.42 -98.49 250
the-dalles US 45.59 -121.18
tokyo JP 35.68 139.65
topeka US 39.05 -95.68
toronto CA 43.65 -79.38
turin IT 45.07 7.69
united-states US 39.50 -98.35 2700
valparaiso CL -33.05 -71.61
vienna AT 48.21 16.37
vinhedo BR -23.03 -46.98
virginia US 37.54 -78.20 300
warsaw PL 52.23 21.01
washington US 38.91 -77.04
washington-state US 47.23 -119.85 250
wyoming US 41.14 -104.82 500
zurich CH 47.38 8.54
""".replace("calgary CA", "calgary CA")
        )
    )
)
"""By name."""
