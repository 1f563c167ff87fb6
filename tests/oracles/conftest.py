"""The libraries that monitoring is held against have an environment of their own (`make oracles`), and tell nobody of us."""

import os

os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
