"""Which lists `keycheck ranges update` fetches from where, and what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from probes.residency.ranges.importers.registry import importer_of
from probes.residency.ranges.importing import Accept, Lists, imported
from probes.residency.ranges.reading import Web, fetch_list, file_name, shown_url, target_of
from probes.residency.ranges.seam import PROVIDERS, RangesError, Source
from probes.residency.ranges.store import put


@dataclass(frozen=True, slots=True)
class Update:
    """One source and where its lists are."""

    source: str
    urls: tuple[str, ...]

    def run(self, path: Path, web: Web, now: datetime, accept: Accept) -> Source:
        """Fetch and put into the index. Raises KeycheckError; then the index is as it was."""
        lists = Lists(
            self.source,
            tuple(fetch_list(url, web) for url in self.urls),
            " ".join(map(shown_url, self.urls)),
            names=tuple(map(file_name, self.urls)),
            fetched=True,
        )
        return put(path, lambda there: imported(lists, now, there.get(self.source), accept))


def updates(sources: tuple[str, ...], urls: tuple[str, ...]) -> tuple[Update, ...]:
    """What to fetch: the sources that are named, or all that have a lasting URL. Raises RangesError."""
    if urls and len(sources) != 1:
        raise RangesError("--from is for one source", advice="name it with --source")
    if not sources:
        sources = tuple(name for name in PROVIDERS if importer_of(name).urls)
    return tuple(_update(name, urls) for name in dict.fromkeys(sources))


def _update(source: str, urls: tuple[str, ...]) -> Update:
    importer = importer_of(source)
    if len(urls) > importer.files:
        raise RangesError(f"{source} takes {importer.files} of --from", advice="name fewer")
    if not (urls or importer.urls):
        raise RangesError(f"nobody knows the URL of {source}", advice=importer.note or "name it with --from")
    for url in urls:
        target_of(url)
    return Update(source, urls or importer.urls)
