"""The compose file and the images, as far as their text proves it: no engine is needed to run these."""

import re
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
DOCKERFILES = sorted((ROOT / "deploy").glob("*.Dockerfile"))
OURS = ("api", "metering", "renderer")
SECRETS = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY")

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())
each_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


@each_service
def test_a_container_can_do_no_more_than_it_must(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert int(service["user"].split(":")[0]) > 0
    assert service["mem_limit"]
    assert service["pids_limit"]


@each_service
def test_a_container_has_a_health_check_unless_it_runs_once(service: dict[str, Any]) -> None:
    if service["restart"] == "no":
        return
    if "build" not in service:
        assert service["healthcheck"]["test"]
        return
    assert "\nHEALTHCHECK " in (ROOT / service["build"]["dockerfile"]).read_text()


def test_no_secret_stands_in_the_compose_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if SECRETS.search(name):
                assert re.fullmatch(r"\$\{\w+:\?run make env\}", value), name
    assert set(re.findall(r"://\w*:([^@\s]+)@", TEXT)) <= {
        "${POSTGRES_PASSWORD:?run make env}",
        "${VALKEY_PASSWORD:?run make env}",
    }


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert used <= set(re.findall(r"^#?(\w+)=", EXAMPLE, re.MULTILINE))


@pytest.mark.parametrize("name", OURS)
def test_every_setting_of_a_service_is_in_the_example_and_reaches_its_container(name: str) -> None:
    settings = import_module(f"services.{name}.settings").Settings
    known = {field.name.upper() for field in msgspec.structs.fields(settings)}
    assert known <= set(re.findall(r"^#?(\w+)=", EXAMPLE, re.MULTILINE))
    dockerfile = (ROOT / SERVICES[name]["build"]["dockerfile"]).read_text()
    in_image = set(
        re.findall(r"(\w+)=\S", "".join(re.findall(r"^ENV (?:.*\\\n)*.*$", dockerfile, re.MULTILINE)))
    )
    given = SERVICES[name]["environment"].keys() | in_image
    assert known - given <= {"QUEUE_REDIS_URL", "METER_REDIS_URL"}


def test_every_image_is_pinned_and_none_is_abandoned() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert all(re.search(r":\d+(\.\d+)*(-\w+)?$", image) for image in images)
    assert "minio" not in TEXT.lower()


def test_the_renderer_reaches_neither_the_internet_nor_the_database() -> None:
    networks = SERVICES["renderer"]["networks"]
    assert all(COMPOSE["networks"][name]["internal"] for name in networks)
    assert not set(networks) & set(SERVICES["postgres"]["networks"])
    assert not {"ports", "container_name"} & SERVICES["renderer"].keys()


def test_only_the_gateway_is_reachable_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:${PORT:-8080}:8080"]}


def test_there_is_one_image_for_each_service() -> None:
    assert {path.name.removesuffix(".Dockerfile") for path in DOCKERFILES} == set(OURS)


@each_dockerfile
def test_an_image_is_slim_hash_pinned_built_in_stages_and_not_roots(path: Path) -> None:
    text = path.read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases)
    assert "--require-hashes" in text
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)
    assert ("chromium" in text) == (path.name == "renderer.Dockerfile")


@each_dockerfile
def test_what_an_image_copies_is_there_and_not_ignored(path: Path) -> None:
    kept = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for source in re.findall(r"^COPY (?!--)(\S+)", path.read_text(), re.MULTILINE):
        assert (ROOT / source).exists(), source
        assert any(Path(source).match(pattern) or source.split("/")[0] == pattern for pattern in kept), source


def test_make_env_fills_every_secret_and_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "make-env.sh"
    script.write_text((ROOT / "deploy" / "make-env.sh").read_text())
    (tmp_path / ".env.example").write_text(EXAMPLE)
    assert subprocess.run(("sh", str(script)), check=False, capture_output=True).returncode == 0  # noqa: S607
    made = dict(re.findall(r"^(\w+)=(.*)$", (tmp_path / ".env").read_text(), re.MULTILINE))
    assert {name for name in made if SECRETS.search(name)} == made.keys()
    assert all(len(secret) == 40 for secret in made.values())
    assert len(set(made.values())) == len(made)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert subprocess.run(("sh", str(script)), check=False, capture_output=True).returncode == 1  # noqa: S607
