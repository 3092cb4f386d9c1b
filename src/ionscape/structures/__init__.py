"""Crystal structures: exchange with files and libraries, supercells, empty sites."""
