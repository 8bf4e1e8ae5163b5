"""From a handful of real defects to a recipe that draws more like them, with a report to judge it by."""

from defectsynth.matching.fit import fit_recipe
from defectsynth.matching.match import MatchReport, match

__all__ = ["MatchReport", "fit_recipe", "match"]
