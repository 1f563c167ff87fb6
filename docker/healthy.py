"""Whether a component of Airflow is alive, asked of the API server: ``python healthy.py scheduler``."""

import json
import sys
import urllib.request

URL = "http://api-server:8080/api/v2/monitor/health"

with urllib.request.urlopen(URL, timeout=10) as answer:
    health = json.load(answer)
sys.exit(health[sys.argv[1]]["status"] != "healthy")
