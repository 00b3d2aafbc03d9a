"""The command `jaxcam compare`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare methods on the same images: which is better, by how much, how surely.

    Paired differences with 95 % bootstrap intervals, sign-flip tests corrected after
    Holm, effect sizes and win rates; between the methods of one run, or of several runs
    over the same data. Then which metrics agree and which contradict each other, by the
    orders in which they put the images and, with three methods or more, the methods. At
    the end what all of this says, in words.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    metrics: str | None = None
    """Metrics, separated by commas; all of the runs by default."""
    coefficient: Literal["spearman", "kendall"] = "spearman"
    """Of the metrics' agreement; Kendall's tau is slow over many images."""
    all_pairs: bool = False
    """Show the correlation of every pair of metrics, not only what stands out."""
    out: Path | None = None
    """JSON file for every record, both coefficients among them."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import _spec, agreement, comparison, storage, tables
        from jaxcam.reports import findings, subject, universes

        wanted = None if self.metrics is None else _spec.split_requests(self.metrics)
        runs = comparison.opened(list(self.runs))
        compared = comparison.compare(runs, metrics=wanted)
        console.say(tables.comparison(compared))
        ranked = agreement.overview(
            runs,
            metrics=wanted,
            coefficients=("spearman", "kendall") if self.out else (self.coefficient,),
        )
        for (over, coefficient), records in ranked.items():
            if coefficient != self.coefficient:
                continue
            console.say(
                f"\nDo the metrics agree over {over}? {agreement.NAMES[coefficient]}"
            )
            for line in agreement.in_words(records):
                console.say(line)
            if self.all_pairs:
                console.say(tables.agreement(records))
        if ("images", self.coefficient) not in ranked:
            console.say(f"\n{self._why_not_over_images()}")
        known = universes.read(runs)
        pairs = list(dict.fromkeys((record["a"], record["b"]) for record in compared))
        # A curve and its area are one finding.
        shown = subject.shown_metrics(runs)
        told = [record for record in compared if wanted or record["metric"] in shown]
        console.say("\nIn short:")
        for line in findings.in_short(findings.marked(told), [], {}, known):
            console.say(f"- {line}")
        for line in filter(None, [*universes.warnings(known, pairs), known.lacking]):
            console.say(line)
        if self.out is not None:
            agreeing = [
                {"over": over, "coefficient": coefficient, **record}
                | {"verdict": agreement.verdict(record)}
                for (over, coefficient), records in ranked.items()
                for record in records
            ]
            self.out.parent.mkdir(parents=True, exist_ok=True)
            found = {"comparison": compared, "agreement": agreeing}
            storage.write_json(self.out, found)
            console.say(f"\nEvery record is in {self.out}.")
        return conventions.EXIT_OK

    def _why_not_over_images(self) -> str:
        from jaxcam import agreement

        takes = "two metrics that are means over images"
        if self.coefficient == "kendall":
            takes += (
                f" and, for Kendall's tau, at most {agreement.KENDALL_ROWS} images; "
                "Spearman's rho has no such limit"
            )
        return f"Whether metrics agree over images cannot be told: it takes {takes}."
