"""The reference libraries have their own environment (`make oracles`), and send no data."""

import os

os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
