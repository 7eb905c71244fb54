"""How time and memory grow along one axis of the workload."""
