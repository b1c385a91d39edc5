"""From a file or a data frame to a panel; every fault by line."""
