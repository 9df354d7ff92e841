"""geochg in Processing: models, batches and `qgis_process`."""
