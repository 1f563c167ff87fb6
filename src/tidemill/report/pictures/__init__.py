"""The parts of charts: marks, distributions and their bars, and rendering to SVG and PNG."""
