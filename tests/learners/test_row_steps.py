import pytest
import torch

from learners.row_steps import rows_in_play

TARGET_RD = torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 0.1]])


def a_table(n_rows: int = 6) -> tuple[torch.nn.Parameter, torch.optim.AdamW]:
    generator = torch.Generator().manual_seed(3)
    table = torch.nn.Parameter(torch.randn(n_rows, 2, generator=generator))
    groups = [{"params": [table], "lr": 0.05, "weight_decay": 0.0}]
    return table, torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)


def stepped(rows_of_step: list[list[int]], is_sparse: bool) -> tuple[torch.Tensor, dict]:
    table, optimizer = a_table()
    for number, rows in enumerate(rows_of_step):
        optimizer.zero_grad()
        row_R = torch.tensor(rows)
        vector_RD = torch.nn.functional.embedding(row_R, table, sparse=is_sparse)
        ((vector_RD - TARGET_RD[: len(rows)] - number) ** 2).sum().backward()
        with rows_in_play(optimizer, table) as weight:
            norm = torch.nn.utils.clip_grad_norm_([weight], 1.0, foreach=True)
            optimizer.step()
        assert float(norm) > 1.0, "clipping is at work"
        assert optimizer.param_groups[0]["params"] == [table]
    return table.detach(), optimizer.state[table]


def test_rows_in_play_in_every_step_go_as_under_the_dense_optimizer():
    rows_of_step = [[4, 0, 2]] * 12
    (dense_VD, dense), (sparse_VD, sparse) = (stepped(rows_of_step, s) for s in (False, True))
    # Nearly: the norm of the gradient is summed in another order.
    torch.testing.assert_close(sparse_VD, dense_VD, rtol=1e-6, atol=1e-6)
    assert not torch.equal(sparse_VD[4], a_table()[0].detach()[4])
    for name in ("exp_avg", "exp_avg_sq", "step"):
        torch.testing.assert_close(sparse[name], dense[name], rtol=1e-5, atol=1e-7)


def test_a_row_that_is_not_in_play_stands_still_where_the_dense_optimizer_goes_on():
    rows_of_step = [[4, 0, 2], [0, 2], [0, 2]]
    once_VD, once = stepped(rows_of_step[:1], is_sparse=True)
    sparse_VD, sparse = stepped(rows_of_step, is_sparse=True)
    dense_VD, _ = stepped(rows_of_step, is_sparse=False)
    assert torch.equal(sparse_VD[4], once_VD[4])
    assert torch.equal(sparse["exp_avg"][4], once["exp_avg"][4])
    assert float((dense_VD[4] - sparse_VD[4]).abs().min()) > 0.01
    torch.testing.assert_close(sparse_VD[[0, 2]], dense_VD[[0, 2]], rtol=0.2, atol=0.02)


def test_rows_that_no_step_touched_keep_their_bits_and_have_no_moments():
    table_VD, state = stepped([[4, 0, 2], [2, 0]], is_sparse=True)
    assert torch.equal(table_VD[[1, 3, 5]], a_table()[0].detach()[[1, 3, 5]])
    assert not state["exp_avg"][[1, 3, 5]].any()
    assert not state["exp_avg_sq"][[1, 3, 5]].any()


@pytest.mark.parametrize("n_steps_before", [0, 2])
def test_a_step_that_is_not_taken_changes_nothing(n_steps_before):
    table, optimizer = a_table()
    row_R = torch.tensor([1, 2])

    def backward() -> None:
        torch.nn.functional.embedding(row_R, table, sparse=True).sum().backward()

    for _ in range(n_steps_before):
        backward()
        with rows_in_play(optimizer, table):
            optimizer.step()
    before = table.detach().clone()
    moments = {name: value.tolist() for name, value in optimizer.state.get(table, {}).items()}
    backward()
    with rows_in_play(optimizer, table):
        pass
    assert torch.equal(table.detach(), before)
    assert table.grad is None
    now = {name: value.tolist() for name, value in optimizer.state.get(table, {}).items()}
    assert now == moments
