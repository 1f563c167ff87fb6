"""The reference libraries have an environment of their own (`make oracles`), and send nothing anywhere."""

import os

os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
