"""Interactive figures of the report: Plotly's traces and layout, from what the figures as files are drawn from."""
