"""Measure the score of uploads on made-up lists with a known truth, kind by kind."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from compliance.testing import judging, seeds

LINE = "{:<16}{:>7}{:>11}{:>8}{:>8}{:>8}{:>12}"


class Command(BaseCommand):
    """`manage.py provenance_table [--tuning] [--seeds N] [--reasons]`."""

    help = "Print how many made-up bought, scraped and honest lists the score holds; held-out seeds unless --tuning."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which seeds, how many, and whether reasons are printed."""
        parser.add_argument("--tuning", action="store_true", help="the seeds that weights are chosen on")
        parser.add_argument("--seeds", type=int, default=0, help="only the first so many seeds of each kind")
        parser.add_argument("--reasons", action="store_true", help="the commonest reasons of each kind")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the table."""
        chosen = seeds.TUNING if options["tuning"] else seeds.HELD_OUT
        chosen = chosen[: options["seeds"] or len(chosen)]
        rows = judging.table(seeds.all_of(chosen, harder=True))
        self.stdout.write(f"seeds {chosen.start} to {chosen.stop - 1}")
        self.stdout.write(LINE.format("kind", "lists", "rows", "held", "asked", "passed", "large first"))
        for kind, row in rows.items():
            figures = [row["lists"], f"{row['rows']:,}", row["hold"], row["ask"], row["pass"], row["jump"]]
            self.stdout.write(LINE.format(kind, *figures))
            for text, count in row["why"].most_common(6) if options["reasons"] else ():
                self.stdout.write(f"    {count:>4}  {text}")
        honest = [row for row in rows.values() if not row["is_bad"]]
        self._sum("honest lists held, their length agreed", honest, "hold_agreed")
        self._sum("honest lists held, no length agreed", honest, "hold_or_jump")
        bad = [rows[kind] for kind in ("bought", "scraped") if kind in rows]
        self._sum("bought and scraped held, their length agreed", bad, "hold_agreed")
        self._sum("bought and scraped held, no length agreed", bad, "hold_or_jump")
        self._sum("harder bad ones held", [row for kind, row in rows.items() if kind in _HARDER])

    def _sum(self, name: str, rows: list[dict[str, Any]], level: str = "hold") -> None:
        lists, held = sum(row["lists"] for row in rows), sum(row[level] for row in rows)
        asked = sum(row["ask"] for row in rows)
        share, also = (100 * part / lists if lists else 0.0 for part in (held, asked))
        self.stdout.write(f"{name}: {held} of {lists}, {share:.1f} %; asked for proof: {asked}, {also:.1f} %")


_HARDER = ("scraped_washed", "guessed", "bought_small")
