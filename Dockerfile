# The product alone. See compose.yaml for PostgreSQL and Redis beside it.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 10001 cdp && install -d -o cdp -g cdp /data
WORKDIR /app

# The lock first: the layer with the packages stays while only the code changes.
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY manage.py ./
COPY cdp cdp
COPY config config
COPY dashboard dashboard
COPY integrations integrations
COPY templates templates
COPY widget_api widget_api
RUN python -m compileall -q cdp config dashboard integrations widget_api

USER cdp
ENV DATA_DIR=/data HOST=0.0.0.0 PORT=8000
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]

# Alone, with SQLite in /data: web server and worker under the supervisor.
CMD ["sh", "-c", "python manage.py setup && exec python manage.py serve"]
