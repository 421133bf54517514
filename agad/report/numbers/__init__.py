"""From rows to numbers: statistics, rankings, comparisons. Rounds nothing."""
