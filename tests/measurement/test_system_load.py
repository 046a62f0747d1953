"""What a busy process shows."""

import torch

from l2rw_ray.measurement import SystemLoad


def test_a_busy_process_shows():
    load = SystemLoad(torch.device("cpu"))
    sum(number * number for number in range(2_000_000))
    metrics = load.sample()
    assert metrics["system/process_cpu_utilization_percentage"] > 10
    assert metrics["system/process_memory_usage_megabytes"] > 50
    assert 0 < metrics["system/system_memory_usage_percentage"] < 100
    assert set(metrics) >= {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"}
