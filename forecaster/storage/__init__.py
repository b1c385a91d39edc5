"""Where data is, other than in a file of this machine: databases and object stores."""
