# Plans, counters and the ledger.
FROM python:3.13-slim-trixie AS packages
COPY requirements/metering.txt /requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt

FROM python:3.13-slim-trixie
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    METERING_HOST=0.0.0.0 METERING_PORT=8081
WORKDIR /app
COPY --from=packages /venv /venv
COPY deploy/health.py deploy/health.py
COPY shared shared
COPY services/__init__.py services/__init__.py
COPY services/metering services/metering
RUN python -m compileall -q /app
USER 10001:10001
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["sh", "-c", "exec python deploy/health.py http://127.0.0.1:${METERING_PORT}/health/live"]
CMD ["python", "-m", "services.metering"]
