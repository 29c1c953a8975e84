# One image for web, worker and beat. docker-compose.yml says which is which.

FROM node:22-bookworm-slim AS front
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM python:3.12-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements.txt ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
COPY --from=front /app/node_modules node_modules
RUN /venv/bin/python scripts/vendor.py \
    && /venv/bin/python scripts/messages.py compile \
    && rm -rf node_modules tests benchmarks

FROM python:3.12-slim-bookworm
WORKDIR /app
COPY apt.txt ./
RUN apt-get update \
    && awk '($2 == "run" || $2 == "han") && $1 != "python3-venv" { print $1 }' apt.txt | xargs apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /var/lib/mesoclinic mesoclinic \
    && install -d -o mesoclinic -g mesoclinic /var/lib/mesoclinic
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MESOCLINIC_DATA_DIR=/var/lib/mesoclinic
USER mesoclinic
VOLUME /var/lib/mesoclinic
EXPOSE 8000
CMD ["gunicorn", "mesoclinic.wsgi:application", "--bind", "0.0.0.0:8000", "--workers", "3", "--worker-class", "gthread", \
     "--threads", "4", "--no-control-socket", "--worker-tmp-dir", "/dev/shm"]
