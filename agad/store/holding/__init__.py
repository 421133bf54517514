"""Who holds a study: the lease, and the rows that wait for the store."""
