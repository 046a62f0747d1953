"""The actor that leases trials to worker groups and collects their events."""
