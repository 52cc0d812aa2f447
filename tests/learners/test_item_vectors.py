import numpy as np
import torch

from learners.item_content import ItemContentConfig
from tests.learners.small_scorers import item_vectors
from tests.stream_values import make_changes


def test_without_metadata_the_vectors_in_use_are_the_table_itself():
    items = item_vectors(width=4)
    items.vector_VD = torch.nn.Parameter(torch.randn(6, 4))
    items.n_rows["vector_VD"] = 5
    items.content.follow(make_changes(5))
    assert torch.equal(items.vectors(), items.vector_VD[:5])


def test_to_an_items_own_vector_come_the_mean_of_its_tokens_and_its_dense_vectors():
    items = item_vectors(ItemContentConfig(tokens=4, token_buckets=64, vectors={"image": 2}), 4)
    items.vector_VD = torch.nn.Parameter(torch.randn(3, 4))
    items.n_rows["vector_VD"] = 3
    told = {"title": "red shoes", "vectors": {"image": [0.0, 2.0]}}
    items.content.follow(make_changes(3, described={1: told}))
    items.token_HD = torch.nn.Parameter(torch.randn(items.content.n_buckets, 4))
    vector_VD = items.vectors()
    assert torch.equal(vector_VD[[0, 2]], items.vector_VD[[0, 2]])
    bags = items.content.bags(torch.device("cpu"))
    expected = items.vector_VD[1] + items.token_HD[bags.bucket_N].mean(dim=0) + items.dense_ED[1]
    torch.testing.assert_close(vector_VD[1], expected)


def test_what_was_first_asked_for_while_serving_can_be_trained_on():
    items = item_vectors(width=4)
    items.vector_VD = torch.nn.Parameter(torch.randn(1, 4))
    items.n_rows["vector_VD"] = 1
    items.content.follow(make_changes(1, described={0: {"title": "red"}}))
    items.token_HD = torch.nn.Parameter(torch.randn(2, 4))
    with torch.inference_mode():
        items.vectors()
    items.vectors().sum().backward()
    assert np.count_nonzero(items.token_HD.grad.any(dim=1)) == 1


def test_fresh_vectors_are_drawn_from_the_generator_alone():
    tables = []
    for _ in range(2):
        items = item_vectors(width=4)
        items.vector_VD = torch.nn.Parameter(torch.zeros(6, 4))
        items.start_fresh("vector_VD", torch.tensor([1, 4]), torch.Generator().manual_seed(7))
        tables.append(items.vector_VD.detach())
    assert torch.equal(tables[0], tables[1])
    assert tables[0][[1, 4]].any(dim=1).all()
    assert not tables[0][[0, 2, 3, 5]].any()


def test_vectors_of_some_rows_are_those_of_all_and_so_is_their_gradient():
    items = item_vectors(ItemContentConfig(tokens=4, token_buckets=64, vectors={"image": 2}), 4)
    items.vector_VD = torch.nn.Parameter(torch.randn(5, 4))
    items.n_rows["vector_VD"] = 5
    told = {"title": "red shoes", "vectors": {"image": [0.0, 2.0]}}
    items.content.follow(make_changes(5, described={1: told, 4: {"title": "blue shoes"}}))
    items.token_HD = torch.nn.Parameter(torch.randn(items.content.n_buckets, 4))
    row_R = np.array([4, 0, 1])
    gradients = []
    for vector_RD in (items.vectors()[row_R], items.vectors(row_R)):
        items.zero_grad()
        (vector_RD**2).sum().backward()
        gradients.append([weight.grad for weight in items.parameters()])
        torch.testing.assert_close(vector_RD, items.vectors()[row_R])
    assert gradients[1][0].is_sparse
    assert gradients[1][0].coalesce().indices()[0].tolist() == [0, 1, 4]
    for dense, some in zip(*gradients, strict=True):
        torch.testing.assert_close(some.to_dense(), dense)


def test_rows_that_say_nothing_have_their_own_vectors_alone():
    items = item_vectors(width=4)
    items.vector_VD = torch.nn.Parameter(torch.randn(3, 4))
    items.content.follow(make_changes(3, described={1: {"title": "red"}}))
    assert torch.equal(items.vectors(np.array([2, 0])), items.vector_VD[[2, 0]])
