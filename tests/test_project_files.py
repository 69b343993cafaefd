"""Files that tell others of the project: versions, workflows, how it is cited."""

import re
import tomllib

import yaml

import irodori
from irodori.config import PROJECT

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))


def commands():
    """The shell commands of the workflows."""
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(), flags=re.M)
    assert versions[0] == irodori.__version__
    assert tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dynamic"] == [
        "version"
    ]


def test_workflows_test_each_python_that_is_allowed():
    jobs = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    oldest, beyond = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    tested = jobs["linux"]["strategy"]["matrix"]["python"]
    assert tested == [f"3.{minor}" for minor in range(oldest, beyond)]


def test_workflows_call_what_exists():
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), flags=re.M)
    found = list(commands())
    assert found
    for command in found:
        for target in re.findall(r"\bmake ([\w-]+)", command):
            assert target in targets
        for path in re.findall(r"(?:^| )(tests/\S+|\.ci/\S+)", command):
            assert (PROJECT / path).exists(), path


def test_the_paper_is_cited():
    cited = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert cited["preferred-citation"]["doi"] == "10.1145/2897824.2925974"


def test_forms_of_issues_have_what_forms_need():
    forms = [
        path
        for path in (PROJECT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")
        if path.name != "config.yml"
    ]
    assert forms
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= form.keys()
        assert all(part["attributes"]["label"] for part in form["body"])
