# A render worker with its browser, the only image that has one. The fonts are among the service's own files.
FROM python:3.13-slim-trixie AS packages
COPY requirements/renderer.txt /requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt

FROM python:3.13-slim-trixie
# Unpinned on purpose: a rebuild takes Debian's security fixes, and a pinned build vanishes from its mirrors. Who needs
# the same bytes of another image names its build, such as 156.0.8078.79-1~deb13u1, while they have it.
ARG CHROMIUM_VERSION=
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends "chromium-headless-shell${CHROMIUM_VERSION:+=$CHROMIUM_VERSION}" \
    && rm -rf /var/lib/apt/lists/*
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    CHROMIUM_PATH=/usr/bin/chromium-headless-shell HOME=/tmp RENDERER_HOST=0.0.0.0 RENDERER_PORT=9090
WORKDIR /app
COPY --from=packages /venv /venv
COPY deploy/health.py deploy/health.py
COPY shared shared
COPY services/__init__.py services/__init__.py
COPY services/renderer services/renderer
RUN python -m compileall -q /app
USER 10001:10001
EXPOSE 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["sh", "-c", "exec python deploy/health.py http://127.0.0.1:${RENDERER_PORT}/health"]
CMD ["python", "-m", "services.renderer"]
