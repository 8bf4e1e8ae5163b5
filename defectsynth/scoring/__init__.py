"""How far synthetic defects are from real ones."""

from defectsynth.scoring.comparison import Floor, MeasureDistance, PictureScore, Score, SetSummary, TwoSampleTest, score

__all__ = ["Floor", "MeasureDistance", "PictureScore", "Score", "SetSummary", "TwoSampleTest", "score"]
