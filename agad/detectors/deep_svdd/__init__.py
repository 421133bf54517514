"""Deep SVDD: a network that maps normal images near one centre."""
