"""Built-in methods against wrong labels and sharp minima, one module each; losses share one."""
