import torch

from learners.item_vectors import ItemVectors


def test_only_rows_in_use_are_scored_and_have_length_one():
    items = ItemVectors(4)
    items.vector_VD = torch.nn.Parameter(torch.randn(6, 4))
    items.n_items = 5
    assert items.units().shape == (5, 4)
    torch.testing.assert_close(items.units().norm(dim=-1), torch.ones(5))


def test_fresh_vectors_are_drawn_from_the_generator_alone():
    tables = []
    for _ in range(2):
        items = ItemVectors(4)
        items.vector_VD = torch.nn.Parameter(torch.zeros(6, 4))
        items.start_fresh(torch.tensor([1, 4]), torch.Generator().manual_seed(7))
        tables.append(items.vector_VD.detach())
    assert torch.equal(tables[0], tables[1])
    assert tables[0][[1, 4]].any(dim=1).all()
    assert not tables[0][[0, 2, 3, 5]].any()
