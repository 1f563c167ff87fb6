# One image for every service: the locked packages and Tidemill, without any secret.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:$PATH

# tini forwards signals and reaps the orphans of killed tasks; LightGBM needs libgomp1.
RUN apt-get update && apt-get install --yes --no-install-recommends tini libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 50000 --home-dir /opt/tidemill --create-home --shell /usr/sbin/nologin tidemill

WORKDIR /opt/tidemill
COPY requirements.txt ./
RUN python -m venv /opt/venv \
    && pip install --no-cache-dir --no-deps --require-hashes --requirement requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY plugins plugins
COPY examples examples
COPY sql sql
COPY docker /opt/tidemill/docker
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && rm -r src plugins examples \
    && mkdir -p logs storage artifacts && chown -R tidemill:tidemill logs storage artifacts

# Last, because it changes with every commit, and everything after it is built again.
ARG CODE_VERSION=""
ENV TIDEMILL_CODE_VERSION=$CODE_VERSION

USER tidemill
ENTRYPOINT ["tini", "--", "/bin/sh", "/opt/tidemill/docker/entrypoint.sh"]
