"""A real S3 server on loopback (moto's)."""

import subprocess
import sys

import pytest
import remote_shards

from irodori.data.collate import validation_batch
from irodori.data.loader import web_loader
from irodori.data.opening import open_index
from irodori.data.pipeline import PlannedBatches, pipeline
from irodori.data.plan import TrainingPlan
from irodori.data.remote import cache, retry
from irodori.data.remote.cache import ShardCache, download, part_of, tag_of
from irodori.data.remote.files import RemoteFile
from irodori.data.remote.retry import Network, RefusedError
from irodori.data.samples import Samples
from irodori.data.shard_reader import ShardReader
from irodori.utils.errors import IrodoriError

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")

pytestmark = pytest.mark.slow  # boto takes seconds to import
QUICK = Network(retries=2, timeout=5.0)


@pytest.fixture(scope="module")
def service():
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(service, monkeypatch):
    """Writes files (name → bytes) into s3://photos."""
    import boto3
    from s3fs import S3FileSystem

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": service,
    }.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    client = boto3.client("s3", endpoint_url=service)
    client.create_bucket(Bucket="photos")

    def write(files):
        for name, content in files.items():
            client.put_object(Bucket="photos", Key=name, Body=content)

    yield write
    for found in client.list_objects_v2(Bucket="photos").get("Contents", ()):
        client.delete_object(Bucket="photos", Key=found["Key"])


def numbers(samples, workers):
    batches = PlannedBatches(TrainingPlan(len(samples), 4, seed=1))
    dataset = pipeline(batches, samples, lambda image: image, 4, validation_batch)
    loader = web_loader(batches, dataset, workers)
    keys = []
    for batch in loader:
        assert batch["bad"] == []
        for key, image in zip(batch["keys"], batch["images"], strict=True):
            number = int(key[1:])
            assert image[:, 0, 0].tolist() == [(number * 37) % 256, (number * 91) % 256, 50]
            keys.append(number)
    return sorted(keys)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("indexed", [True, False])
def test_shards_in_a_bucket(bucket, tmp_path, monkeypatch, cached, indexed):
    monkeypatch.setenv("HOME", str(tmp_path))
    files = remote_shards.shards()
    if indexed:
        files["index.json"] = remote_shards.index_json(tmp_path / "origin", files)
    bucket({f"x/{name}": content for name, content in files.items()})
    folder = tmp_path / "cache" if cached else None
    for pattern in ("s3://photos/x/t-{0..2}.tar", "s3://photos/x/t-?.tar"):
        index = open_index(pattern, None, folder, network=QUICK)
        assert [shard.path for shard in index.shards] == [
            f"s3://photos/x/t-{n}.tar" for n in range(3)
        ]
    assert index.classes == (("a", "b", "c") if indexed else ("0", "1", "2"))
    reader = ShardReader(ShardCache(folder / "shards", None, QUICK) if cached else None, QUICK)
    samples = Samples(index, reader)
    # In the loader's processes after this process has used its own connections.
    for workers in (0, 2, 2):
        assert numbers(samples, workers) == list(range(12))
    kept = list((tmp_path / "cache" / "shards").glob("*.tar"))
    assert len(kept) == (3 if cached else 0)


def test_a_download_goes_on_and_a_changed_object_is_not_mixed(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 1000)
    content = remote_shards.tar(range(5))
    bucket({"a.tar": content})
    file = RemoteFile("s3://photos/a.tar", 5.0)
    path = tmp_path / "a.tar"
    asked = []
    read = RemoteFile.read
    monkeypatch.setattr(
        RemoteFile,
        "read",
        lambda self, start, *rest: (asked.append(start), read(self, start, *rest))[1],
    )
    tag_of(path).write_text(file.stat().tag)
    part_of(path, len(content)).write_bytes(content[:2500])
    download(file, path, QUICK, len(content))
    assert path.read_bytes() == content
    assert asked[0] == 2500
    other = remote_shards.tar(range(10, 15))
    bucket({"a.tar": other})
    tag_of(path).write_text("of before")
    part_of(path, len(other)).write_bytes(content[:2500])
    download(file, path, QUICK, len(other))
    assert path.read_bytes() == other


def test_an_object_that_changes_in_a_download_is_fetched_again(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 4000)
    old, new = remote_shards.tar(range(5)), remote_shards.tar(range(10, 15))
    assert len(old) == len(new)
    bucket({"a.tar": old})
    read = RemoteFile.read

    def changing(self, start, *rest):
        content = read(self, start, *rest)
        bucket({"a.tar": new})
        return content

    monkeypatch.setattr(RemoteFile, "read", changing)
    download(RemoteFile("s3://photos/a.tar", 5.0), tmp_path / "a.tar", QUICK, len(old))
    assert (tmp_path / "a.tar").read_bytes() == new


def test_what_is_not_there(bucket, tmp_path):
    for pattern, message in [
        ("s3://photos/gone.tar", "cannot read s3://photos/gone.tar does not exist"),
        ("s3://photos/x/*.tar", "no shard matches"),
        ("s3://no-bucket/a.tar", "cannot read s3://no-bucket"),
    ]:
        with pytest.raises(IrodoriError, match=message) as caught:
            open_index(pattern, None, tmp_path, network=QUICK)
        assert "\n" not in str(caught.value)


def test_no_service(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    file = RemoteFile("s3://elsewhere/a.tar", 0.5)
    with pytest.raises(RefusedError, match=r"connect.*gave up after 1 retries"):
        retry.retrying(file.url, file.stat, Network(1, 0.5))


def test_a_package_that_is_not_installed_is_named(tmp_path):
    code = """
import sys
from pathlib import Path
from irodori.data.opening import open_index
from irodori.utils.errors import IrodoriError
sys.modules["s3fs"] = sys.modules["gcsfs"] = None
for scheme in ("s3", "gs"):
    try:
        open_index(f"{scheme}://b/a.tar", None, Path("/nowhere"))
    except IrodoriError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        f"{scheme}:// needs a package that is not installed: pip install 'irodori[{scheme}]'"
        for scheme in ("s3", "gs")
    ]
