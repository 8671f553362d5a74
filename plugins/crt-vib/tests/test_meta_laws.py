from crt_laws import obeys
from crt_nn.yarn_settings import Yarn
from crt_vib.meta.spec import MetaTransformer

STRETCHED = Yarn(scale=4, original_length=8)

test_the_example = obeys(MetaTransformer(layers=2, width=16, heads=2))
test_with_no_position_at_meta = obeys(MetaTransformer(layers=1, width=8, heads=2, positions_at_meta=False))
test_attending_to_all = obeys(
    MetaTransformer(layers=1, width=8, heads=2, second="all", feed_forward="relu", embedding="tied")
)
test_without_a_second_attention = obeys(
    MetaTransformer(layers=1, width=8, heads=2, second="none", embedding="plain", yarn=STRETCHED)
)
