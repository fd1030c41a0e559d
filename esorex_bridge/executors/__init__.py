"""How a step is started: workers on this machine, Parsl, Slurm."""
