"""The Mobile Text Alerts dialect, under ``/v3``: their words and errors over our stages."""
