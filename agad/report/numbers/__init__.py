"""From rows to figures: statistics, rankings, comparisons. Rounds nothing."""
