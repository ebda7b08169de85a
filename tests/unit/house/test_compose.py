"""The deployment's files fit each other and the code: what Compose's schema cannot see, because it stands in other files.

Without an engine nothing here proves that an image starts; what of it runs is run in tests/resilience/deploy/test_deploy.py.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.envconfig import ClientConfig

from outlast.client import Settings

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SETTINGS = {name.upper() for name in Settings.model_fields}
TEMPORAL = {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}  # temporalio.envconfig; checked below
SECRET_FILES = {
    f"{name}_FILE"
    for name in re.findall(
        r"\b[A-Z_]{7,}\b", (ROOT / "deploy/image/with-secrets.sh").read_text().split("for name in")[1]
    )
}
OBSTORE = {"AWS_ENDPOINT", "AWS_REGION", "AWS_ALLOW_HTTP"}  # object_store's AmazonS3ConfigKey
OURS = SETTINGS | TEMPORAL | OBSTORE | {"OTEL_SERVICE_NAME"}  # the last: OpenTelemetry's SDK
READ_BY: dict[str, set[str]] = {
    # https://hub.docker.com/_/postgres: "How to extend this image"
    "postgres": {"POSTGRES_USER", "POSTGRES_PASSWORD_FILE"},
    # deploy/temporal/schema.sh; SQL_PASSWORD by temporal-sql-tool
    "temporal-schema": {"POSTGRES_SEEDS", "POSTGRES_USER", "DB_PORT"},
    # temporalio/temporal: docker/config_template.yaml, the same names in common/config/config_template_embedded.yaml
    "temporal": {
        *("DB", "DB_PORT", "POSTGRES_SEEDS", "POSTGRES_USER", "BIND_ON_IP", "NUM_HISTORY_SHARDS"),
        *("DYNAMIC_CONFIG_FILE_PATH", "LOG_LEVEL", "PROMETHEUS_ENDPOINT"),
    },
    # deploy/temporal/namespace.sh
    "temporal-namespace": {*TEMPORAL, "NAMESPACE_RETENTION"},
    # temporalio/ui-server: server/docker/config-template.yaml
    "temporal-ui": {"TEMPORAL_ADDRESS", "TEMPORAL_DEFAULT_NAMESPACE", "TEMPORAL_CODEC_ENDPOINT"},
    "content-store": set(),
    "content-bucket": {"MASTER", "BUCKET"},  # deploy/content-store/bucket.sh
    "worker": OURS,
    "worker-before": OURS,
    "starter": OURS,
    "codec-server": OURS,
    "observability": {"GF_AUTH_ANONYMOUS_ENABLED"},  # grafana/docker-otel-lgtm: docker/run-grafana.sh
    "mail": set(),
    # outlast/devstack/local_model/__main__.py
    "local-model": {f"LOCAL_MODEL_{name}" for name in ("CONTEXT", "PARALLEL", "QUEUE", "THREADS", "GGUF")},
}


def kubernetes() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "deploy/kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def manifest(kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in kubernetes() if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    return [tuple(volume.split(":")[:2]) for volume in service.get("volumes", [])]


def test_the_schema_of_compose_is_kept() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yml",
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_everything_that_a_service_names_exists(name: str) -> None:
    service = SERVICES[name]
    for other, how in service.get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other], f"{other} has no health check to wait for"
        if how["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"].startswith("on-failure"), f"{other} would be started again for ever"
        assert not SERVICES[other].get("profiles"), f"{other} starts only with a profile"
    for source, target in mounts(service):
        assert target.startswith("/")
        assert (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"], source
    assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
    if build := service.get("build"):
        assert f"AS {build['target']}\n" in (ROOT / build["dockerfile"]).read_text()
    if "image" in service and "build" not in service and name not in ("starter", "codec-server", "worker-before"):
        assert re.search(r":v?\d+\.\d+", service["image"]), f"{service['image']} is not pinned"


@pytest.mark.parametrize("name", SERVICES)
def test_every_environment_name_is_one_that_something_reads(name: str) -> None:
    service = SERVICES[name]
    environment = service.get("environment", {})
    wrapped = any("with-secrets.sh" in target for _, target in mounts(service)) or "worker:" in service.get("image", "")
    assert set(environment) - READ_BY[name] - (SECRET_FILES if wrapped else set()) == set()
    for variable, value in environment.items():
        if variable.endswith("_FILE") and str(value).startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in service["secrets"], (
                f"{variable} names a secret that is not mounted"
            )
        assert "://" not in str(value) or not re.search(r"://[^/\s]+:[^/\s]+@", str(value)), (
            f"{variable} holds a password"
        )


def test_a_stop_lets_running_calls_finish() -> None:
    worker = SERVICES["worker"]
    grace = float(worker["environment"]["SHUTDOWN_GRACE"])
    assert float(worker["stop_grace_period"].removesuffix("s")) >= grace + 20
    deployment = manifest("Deployment", "agents-worker-1-0-0")
    (config,) = (each for each in kubernetes() if each["kind"] == "ConfigMap")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= float(config["data"]["SHUTDOWN_GRACE"]) + 20


def test_our_images_run_without_rights() -> None:
    dockerfile = (ROOT / "deploy/image/Dockerfile").read_text()
    assert "USER 10001:10001" in dockerfile.split("AS base")[1].split("\nFROM")[0]
    for name in ("worker", "starter", "codec-server", "local-model"):
        assert SERVICES[name]["read_only"]
        assert SERVICES[name]["cap_drop"] == ["ALL"]
    written = [target for _, target in mounts(SERVICES["worker"])]
    assert written == [re.search(r"STATE_DIR=(\S+)", dockerfile)[1]]  # type: ignore[index]


def test_what_the_dockerfile_copies_exists_and_reaches_the_engine() -> None:
    folder = ROOT / "deploy/image"
    allowed = re.findall(r"^!(.+)$", (folder / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    for line in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+)$", (folder / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == rule or source.startswith(f"{rule}/") for rule in allowed), source


def test_the_versions_are_those_that_the_embedded_server_has() -> None:
    temporal = Path(sys.executable).with_name("temporal")
    said = subprocess.run([temporal, "--version"], capture_output=True, text=True, check=True).stdout
    server, ui = re.findall(r"(?:Server|UI) (\d+\.\d+\.\d+)", said)
    assert SERVICES["temporal"]["image"] == f"temporalio/server:{server}"
    assert (
        SERVICES["temporal-schema"]["image"]
        == SERVICES["temporal-namespace"]["image"]
        == f"temporalio/admin-tools:{server}"
    )
    assert SERVICES["temporal-ui"]["image"] == f"temporalio/ui:{ui}"


def test_temporal_reads_the_names_that_are_its(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/nowhere.toml")
    for name in TEMPORAL:
        monkeypatch.setenv(name, f"seen-{name}")
    assert set(ClientConfig.load_client_connect_config().values()) >= {f"seen-{name}" for name in TEMPORAL}


def test_the_manifests_fit_each_other_and_the_code() -> None:
    parts = {each["kind"]: each for each in kubernetes() if "codec-server" not in each["metadata"]["name"]}
    assert {part["apiVersion"] for part in parts.values()} == {"v1", "apps/v1", "policy/v1", "keda.sh/v1alpha1"}
    assert set(parts["ConfigMap"]["data"]) <= OURS
    spec = parts["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    labels = spec["template"]["metadata"]["labels"].items()
    for selector in (spec["selector"], parts["PodDisruptionBudget"]["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "readiness", "liveness")} == {"health"}
    assert str(ports["metrics"]) == spec["template"]["metadata"]["annotations"]["prometheus.io/port"]
    command = next(
        line for line in (ROOT / "deploy/image/Dockerfile").read_text().splitlines() if '"worker.py"' in line
    )
    assert f'"--health-port", "{ports["health"]}", "--metrics-port", "{ports["metrics"]}"' in command
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    build = env.pop("TEMPORAL_WORKER_BUILD_ID")
    assert env.keys() <= SECRET_FILES
    assert container["image"].endswith(f":{build}"), "the image's tag is the build"
    assert spec["selector"]["matchLabels"]["build"] == build, "each build has pods of its own"
    assert parts["Deployment"]["metadata"]["name"].endswith(build.replace(".", "-"))
    scaled = parts["ScaledObject"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == parts["Deployment"]["metadata"]["name"]
    trigger = scaled["triggers"][0]["metadata"]
    data = parts["ConfigMap"]["data"]
    assert (trigger["endpoint"], trigger["namespace"], trigger["taskQueue"]) == (
        data["TEMPORAL_ADDRESS"], data["TEMPORAL_NAMESPACE"], data["TASK_QUEUE"],
    )  # fmt: skip
    assert (trigger["workerDeploymentName"], trigger["workerDeploymentBuildId"]) == (
        data["TEMPORAL_DEPLOYMENT_NAME"], build,
    )  # fmt: skip


def test_a_build_is_its_image_and_the_build_before_runs_beside_it() -> None:
    new, before = SERVICES["worker"], SERVICES["worker-before"]
    assert "build" not in before, "it would be built from the code of today"
    for service, tag in ((new, "IMAGE_TAG"), (before, "PREVIOUS_TAG")):
        assert service["image"] == f"outlast-worker:${{{tag}:-local}}"
        assert f"{{{tag}:-local}}" in service["environment"]["TEMPORAL_WORKER_BUILD_ID"]
    differ = {"build", "image", "profiles", "environment"}
    assert {name: new[name] for name in new.keys() - differ} == {name: before[name] for name in before.keys() - differ}
    builds = {"TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"}
    assert {name: new["environment"][name] for name in new["environment"].keys() - builds} == {
        name: before["environment"][name] for name in before["environment"].keys() - builds
    }


def test_the_codec_server_is_reached_by_its_service_alone() -> None:
    pod = manifest("Deployment", "agents-codec-server")["spec"]["template"]
    service, wall = manifest("Service", "agents-codec-server"), manifest("NetworkPolicy", "agents-codec-server")
    assert service["spec"]["selector"] == wall["spec"]["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    (container,) = pod["spec"]["containers"]
    port = str(container["ports"][0]["containerPort"])
    composed = SERVICES["codec-server"]
    for arguments in (container["args"], composed["command"]):
        assert arguments[arguments.index("--port") + 1] == port
        assert "--behind-proxy" in arguments
    assert [*composed["entrypoint"], composed["command"][0]] == container["command"]
    assert composed["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert {variable["name"] for variable in container["env"]} == set(composed["environment"]) <= SECRET_FILES


def test_the_dashboard_asks_sources_that_are_provisioned() -> None:
    board = json.loads((ROOT / "deploy/grafana/agents.json").read_text())
    sources = yaml.safe_load((ROOT / "deploy/grafana/datasources.yaml").read_text())["datasources"]
    uids = {source["uid"] for source in sources}
    assert {panel["datasource"]["uid"] for panel in board["panels"]} <= uids
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    (provider,) = yaml.safe_load((ROOT / "deploy/grafana/dashboards.yaml").read_text())["providers"]
    targets = [target for _, target in mounts(SERVICES["observability"])]
    assert f"{provider['options']['path']}/agents.json" in targets
