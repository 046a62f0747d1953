"""How busy a machine is during training."""

import psutil
import torch

SYSTEM = "system/"
"""Prefix of the names of system metrics, as in MLflow."""
_MEGABYTE = 1e6


class SystemLoad:
    """Samples this process and its machine; shares of the processor are those since the last sample.

    Args:
        device: Where the process trains.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._process = device, psutil.Process()
        self.sample()  # the reference of the first shares

    def sample(self) -> dict[str, float]:
        """Return metrics by name, which includes their unit: percent, or megabytes of 10⁶ bytes.

        A process that keeps two cores busy has a share of 200 %.
        """
        memory = psutil.virtual_memory()
        metrics = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "process_cpu_utilization_percentage": self._process.cpu_percent(),
            "process_memory_usage_megabytes": self._process.memory_info().rss / _MEGABYTE,
        }
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            metrics["gpu_memory_usage_megabytes"] = (total - free) / _MEGABYTE
            metrics["gpu_memory_usage_percentage"] = 100 * (total - free) / total
        return {SYSTEM + name: float(value) for name, value in metrics.items()}
