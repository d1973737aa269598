# The gateway, and `invouno`, the operator's command, which reaches into metering too and migrates both services.
# Debian rather than Alpine: the wheels are built for glibc. Trixie: the stable release, and the newest Python image.
FROM python:3.13-slim-trixie AS packages
COPY requirements/api.txt /requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt \
    && printf '#!/bin/sh\nexec /venv/bin/python -m cli.main "$@"\n' > /venv/bin/invouno \
    && chmod 755 /venv/bin/invouno

FROM python:3.13-slim-trixie
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 PORT=8080
WORKDIR /app
COPY --from=packages /venv /venv
COPY deploy/health.py deploy/health.py
COPY shared shared
COPY cli cli
COPY services/__init__.py services/__init__.py
COPY services/metering services/metering
COPY services/api services/api
RUN python -m compileall -q /app
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["sh", "-c", "exec python deploy/health.py http://127.0.0.1:${PORT}/health/live"]
CMD ["python", "-m", "services.api"]
