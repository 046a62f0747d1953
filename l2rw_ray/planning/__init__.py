"""Turn a study into trials: design points × seeds, search strategies, and the plan shown before a run."""
