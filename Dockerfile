# syntax=docker/dockerfile:1
# Leadline, small and without root: docker build -t leadline . && docker run -p 8080:8080 -v leadline:/var/lib/leadline leadline
# SQLite in the image needs linux/amd64, for which pysqlite3 has a wheel; on linux/arm64 use PostgreSQL.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
WORKDIR /src
COPY requirements/server.lock requirements/server.lock
# Without pip of its own; and only wheels, so that nothing is compiled and no compiler is needed.
RUN python -m venv --without-pip /opt/leadline \
 && python -m pip --python /opt/leadline/bin/python install --no-cache-dir --disable-pip-version-check \
    --only-binary :all: --require-hashes --requirement requirements/server.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m pip --python /opt/leadline/bin/python install --no-cache-dir --disable-pip-version-check \
    --no-index --no-deps --no-build-isolation . \
 && python -m pip --python /opt/leadline/bin/python uninstall --yes hatchling pathspec pluggy trove-classifiers

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="Leadline" \
      org.opencontainers.image.description="A self-hosted call-outcomes engine" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN python -m pip uninstall --yes pip setuptools wheel \
 && groupadd --system --gid 10001 leadline \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/leadline --shell /usr/sbin/nologin leadline \
 && install -d -o leadline -g leadline -m 0750 /var/lib/leadline
COPY --from=build /opt/leadline /opt/leadline
ENV PATH=/opt/leadline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LEADLINE_HOST=0.0.0.0 \
    LEADLINE_PORT=8080 \
    LEADLINE_LOG_FORMAT=json
# By number, so that Kubernetes' runAsNonRoot can see that it is not root. Nothing is written but in the volume.
USER 10001:10001
WORKDIR /var/lib/leadline
VOLUME /var/lib/leadline
EXPOSE 8080
STOPSIGNAL SIGTERM
# A container that runs `worker` needs LEADLINE_WORKER_PORT=8080 to be asked.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"LEADLINE_PORT\"]}/readyz', timeout=4)"]
ENTRYPOINT ["leadline"]
CMD ["serve"]
