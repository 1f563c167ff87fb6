"""The parts of pictures: marks, distributions and their bars, and rendering to SVG and PNG."""
