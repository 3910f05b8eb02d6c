"""Promises about the graph that are kept by what dbt has parsed."""

import json
import re
from collections import defaultdict

import pytest
import yaml
from store import REPOSITORY, Store

from encoder_job.registry import UNIT_NORM_WITHIN


@pytest.fixture(scope="module")
def manifest(built: Store) -> dict:
    return json.loads((built.target / "manifest.json").read_text())


def upstream(manifest: dict, name: str) -> set[str]:
    """Return the names of every model that a model reads, directly or not."""
    node = f"model.embedding_store.{name}"
    parents, unvisited = set(), [node]
    while unvisited:
        for parent in manifest["parent_map"].get(unvisited.pop(), ()):
            if parent not in parents:
                parents.add(parent)
                unvisited.append(parent)
    return {parent.split(".")[2] for parent in parents if parent.startswith("model.")}


@pytest.mark.parametrize("model", ["training_queue", "training_records"])
def test_the_trainer_never_reads_the_test_door(manifest: dict, model: str):
    assert "dataset_test" not in upstream(manifest, model)
    direct = {
        node.split(".")[2] for node in manifest["parent_map"][f"model.embedding_store.{model}"]
    }
    # past the doors there would be another way to the test rows
    assert "dataset_snapshots" not in direct
    assert "dataset_examples" not in direct
    assert "dataset_train" in upstream(manifest, model)


def test_the_job_lands_no_vector_that_the_warehouse_rejects_for_its_length():
    project = yaml.safe_load((REPOSITORY / "dbt_project.yml").read_text())
    assert project["vars"]["unit_norm_tolerance"] == UNIT_NORM_WITHIN


def test_what_is_published_shows_no_vector_mac_customer_or_source(manifest: dict):
    secret = {"embedding", "content_mac", "customer_id", "split_group_id", "source_reference"}
    published = [n for n in manifest["nodes"].values() if n.get("schema") == "published"]
    assert len(published) >= 9
    for node in published:
        assert not secret & set(node["columns"]), node["name"]
        assert node["config"]["contract"]["enforced"], node["name"]
        assert node["config"]["access"] == "public", node["name"]


def test_what_many_models_say_of_a_column_is_written_once():
    described = defaultdict(set)
    for path in (REPOSITORY / "models").rglob("*__models.yml"):
        for model in yaml.safe_load(path.read_text())["models"]:
            for column in model.get("columns", ()):
                described[column["description"].strip()].add(model["name"])
    assert len(described) > 200
    repeated = {told: models for told, models in described.items() if len(models) > 2}
    assert {told for told in repeated if "doc(" not in told} == set()


def test_what_is_never_null_is_kept_so_by_the_engine_or_else_tested(manifest: dict):
    """dbt has constraints for tables with a contract, and BigQuery has none for arrays: a null is empty there."""
    tests = {
        (node["attached_node"], node["column_name"]): node
        for node in manifest["nodes"].values()
        if node.get("test_metadata", {}).get("name") == "not_null"
    }
    keys = {
        (node["attached_node"], column)
        for node in manifest["nodes"].values()
        if node.get("test_metadata", {}).get("name") in ("unique", "unique_combination")
        for column in node["test_metadata"]["kwargs"].get("columns", [node["column_name"]])
    }
    constrained = 0
    for model in manifest["nodes"].values():
        for column in model["columns"].values() if model["resource_type"] == "model" else ():
            place = model["unique_id"], column["name"]
            test, has_constraint = tests.get(place), bool(column["constraints"])
            can_have_one = (
                model["contract"]["enforced"]
                and model["config"]["materialized"] != "view"
                and not column["data_type"].endswith("[]")
            )
            told = column["description"].lower()
            constrained += has_constraint
            assert can_have_one or not has_constraint, place
            if can_have_one:
                assert not test or test["config"]["where"], place
            if "never null" in told or (can_have_one and place in keys and "null" not in told):
                assert has_constraint or test, place
    assert constrained > 300


def test_the_ledger_is_never_refreshed(manifest: dict):
    ledger = [n for n in manifest["nodes"].values() if n.get("schema") == "ledger"]
    assert len(ledger) == 13
    for node in ledger:
        assert node["config"]["materialized"] == "incremental", node["name"]
        assert node["config"]["full_refresh"] is False, node["name"]
        assert node["config"]["on_schema_change"] == "fail", node["name"]


def test_rows_of_persons_are_built_after_their_erasure(manifest: dict):
    """Erasing reads and empties such tables: none may be rebuilt at the same time."""
    found = [
        node for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "erasure" not in node["fqn"]
        and node["config"]["materialized"] in ("table", "incremental")
        and {"object_id", "customer_id", "event_id"} & set(node["columns"])
    ]  # fmt: skip
    assert len(found) > 15
    for node in found:
        assert "erased_subjects" in upstream(manifest, node["name"]), node["name"]


def test_what_keeps_rows_of_persons_is_searched_for_the_erased(manifest: dict):
    keeping = {
        node["name"] for node in manifest["nodes"].values()
        if node["config"].get("materialized") == "incremental" and "erasure" not in node["fqn"]
        and {"object_id", "customer_id", "event_id"} & set(node["columns"])
    }  # fmt: skip
    (test,) = (
        parents for name, parents in manifest["parent_map"].items()
        if name.startswith("test.embedding_store.assert_nothing_erased_is_left")
    )  # fmt: skip
    assert {parent.split(".")[2] for parent in test} - {"erased_subjects"} == keeping


def test_vectors_macs_and_sources_live_in_the_restricted_schema(manifest: dict):
    secret = {"embedding", "content_mac", "source_reference"}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and secret & set(node["columns"]):
            assert node["schema"] == "restricted", node["name"]


def test_every_macro_is_documented_with_its_arguments(manifest: dict):
    macros = [
        m for m in manifest["macros"].values()
        if m["package_name"] == "embedding_store" and "__" not in m["name"] and not m["name"].startswith("test_")
    ]  # fmt: skip
    assert len(macros) > 20
    for macro in macros:
        assert macro["description"], macro["name"]
        assert macro["original_file_path"] == f"macros/{macro['name']}.sql"
        for argument in macro["arguments"]:
            assert argument["description"], (macro["name"], argument["name"])


def test_the_readmes_query_leads_from_a_prediction_to_its_source(built: Store):
    readme = (REPOSITORY / "README.md").read_text()
    (query,) = re.findall(r"```sql\n(.*?);\n```", readme, re.DOTALL)
    (prediction_id,) = built.query("""
        select min(prediction_id) from published.predictions
        where training_split = 'test' and classifier_id like 'review_tone%'
    """)[0]
    asked = re.sub(r"prediction_id = '\w+'", f"prediction_id = '{prediction_id}'", query)
    rows = built.query(asked)
    shown = re.findall(r"^ *(\w+) = ", readme, re.MULTILINE)
    assert shown == built.arrow(asked).column_names
    assert len(rows) == 1
    assert rows[0][0] == prediction_id
    # its label came from ratings, not from a person
    assert rows[0].count(None) == 1
    assert built.query("""
        select count(*) = count(training_raw_event_count) and min(training_raw_event_count) >= 10
        from restricted.prediction_lineage
        where training_split is not null and classifier_id not like 'shirt%'
    """) == [(True,)]


def test_every_column_is_documented_with_its_type(manifest: dict, built: Store):
    types = {"string": "VARCHAR", "int64": "BIGINT", "decimal(29, 0)": "DECIMAL(29,0)"}
    found = built.columns()
    for node in manifest["nodes"].values():
        if node["resource_type"] not in ("model", "seed"):
            continue
        documented = {
            name: types.get(column["data_type"], column["data_type"].upper()).replace(
                "STRING", "VARCHAR"
            )
            for name, column in node["columns"].items()
        }
        table = f"{node['schema']}.{node['name']}"
        assert documented == {n: t for (owner, n), t in found.items() if owner == table}, table
