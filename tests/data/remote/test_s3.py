"""A real S3 server on loopback (moto's)."""

import subprocess
import sys

import pytest
import remote_shards

from irodori.data.loader import web_loader
from irodori.data.opening import ShardOpener
from irodori.data.pipeline import PlannedBatches, validation_pipeline
from irodori.data.plan import ValidationPlan
from irodori.data.remote import cache
from irodori.data.remote.cache import ShardCache
from irodori.data.remote.files import Network, RefusedError, RemoteFile
from irodori.data.samples import Samples
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
    batches = PlannedBatches(ValidationPlan(len(samples), 4))
    keys = []
    for batch in web_loader(validation_pipeline(batches, samples, lambda image: image), workers):
        assert batch["bad"] == []
        for key, image in zip(batch["keys"], batch["images"], strict=True):
            number = int(key[1:])
            assert image[:, 0, 0].tolist() == [(number * 37) % 256, (number * 91) % 256, 50]
            keys.append(number)
    return keys


@pytest.mark.parametrize(("cached", "indexed"), [(True, False), (False, True)])
def test_shards_in_a_bucket(bucket, tmp_path, monkeypatch, cached, indexed):
    monkeypatch.setenv("HOME", str(tmp_path))
    files = remote_shards.shards()
    if indexed:
        files["index.json"] = remote_shards.index_json(tmp_path / "origin", files)
    bucket({f"x/{name}": content for name, content in files.items()})
    folder = tmp_path / "cache" if cached else None
    for pattern in ("s3://photos/x/t-{0..2}.tar", "s3://photos/x/t-?.tar"):
        index = ShardOpener(folder, network=QUICK).open(pattern)
        assert [shard.path for shard in index.shards] == [
            f"s3://photos/x/t-{n}.tar" for n in range(3)
        ]
    assert index.classes == (("a", "b", "c") if indexed else ("0", "1", "2"))
    kept = ShardCache(tmp_path / "cache" / "shards", None, QUICK)
    samples = Samples(index, kept if cached else None, QUICK)
    # In the loader's processes after this process has used its own connections.
    for workers in (0, 2):
        assert numbers(samples, workers) == list(range(12))
    assert len(list(kept.folder.glob("*.tar"))) == (3 if cached else 0)


def test_an_object_that_changes_later_is_no_damaged_image(bucket, tmp_path):
    """Of the same size, and read without a cache: only the checksums differ."""
    files = {"t-0.tar": remote_shards.tar(range(5))}
    index = remote_shards.index_json(tmp_path, files)
    bucket({**files, "index.json": index})
    samples = Samples(ShardOpener(None, network=QUICK).open("s3://photos/t-0.tar"), None, QUICK)
    bucket({"t-0.tar": remote_shards.tar(range(10, 15))})
    with pytest.raises(RefusedError, match=r"^s3://photos/t-0\.tar has changed: "):
        samples.read(0)


def test_an_object_that_changes_in_a_download_is_not_mixed(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 4000)
    old, new = remote_shards.tar(range(5)), remote_shards.tar(range(10, 15))
    assert len(old) == len(new)
    bucket({"a.tar": old})
    (shard,) = ShardOpener(tmp_path, network=QUICK).open("s3://photos/a.tar").shards
    read = RemoteFile.read

    changes = iter([{"a.tar": new}])

    def changing(self, start, *rest):
        content = read(self, start, *rest)
        for change in changes:  # once; parts are read side by side
            bucket(change)
        return content

    monkeypatch.setattr(RemoteFile, "read", changing)
    with ShardCache(tmp_path, None, QUICK).open(shard) as file:
        assert file.read() == new


def test_what_is_not_there(bucket, tmp_path, monkeypatch):
    for pattern, message in [
        ("s3://photos/gone.tar", "cannot read s3://photos/gone.tar does not exist"),
        ("s3://photos/x/*.tar", "no shard matches"),
        ("s3://no-bucket/a.tar", "cannot read s3://no-bucket"),
    ]:
        with pytest.raises(IrodoriError, match=message) as caught:
            ShardOpener(tmp_path, network=QUICK).open(pattern)
        assert "\n" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(RefusedError, match=r"connect.*gave up after 1 retries"):
        RemoteFile("s3://elsewhere/a.tar", Network(1, 0.5)).stat()


def test_a_package_that_is_not_installed_is_named():
    code = """
import sys
from irodori.data.remote.files import Network, RemoteFile
from irodori.utils.errors import IrodoriError
sys.modules["s3fs"] = sys.modules["gcsfs"] = None
for scheme in ("s3", "gs"):
    try:
        RemoteFile(f"{scheme}://b/a.tar", Network()).stat()
    except IrodoriError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        f"{scheme}:// needs a package that is not installed: pip install 'irodori[{scheme}]'"
        for scheme in ("s3", "gs")
    ]
