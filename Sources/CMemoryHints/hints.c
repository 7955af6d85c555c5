// CMemoryHints is all in its header.
