"""The words of the simulated shop: its categories, and what titles in each are made of."""

CATEGORY_WORDS: dict[str, tuple[str, ...]] = {
    "book": ("classic", "mystery", "pocket", "illustrated", "historic", "annotated", "short"),
    "garden": ("perennial", "shade", "climbing", "herb", "meadow", "potted", "evergreen"),
    "kitchen": ("copper", "ceramic", "nonstick", "carving", "baking", "stackable", "enamel"),
    "shoe": ("trail", "leather", "running", "waterproof", "canvas", "hiking", "light"),
    "lamp": ("reading", "dimmable", "brass", "floor", "warm", "paper", "bedside"),
    "audio": ("wireless", "studio", "vinyl", "portable", "stereo", "acoustic", "loud"),
    "bicycle": ("touring", "folding", "gravel", "city", "carbon", "cargo", "electric"),
    "toy": ("wooden", "puzzle", "building", "plush", "magnetic", "musical", "painted"),
    "camera": ("mirrorless", "instant", "zoom", "underwater", "compact", "macro", "film"),
    "coffee": ("roasted", "single-origin", "decaf", "ground", "organic", "espresso", "smoky"),
    "jacket": ("rain", "down", "denim", "fleece", "quilted", "wool", "reflective"),
    "paint": ("matte", "acrylic", "watercolour", "chalk", "glossy", "primer", "metallic"),
    "chair": ("oak", "swivel", "rocking", "padded", "garden-side", "bentwood", "tall"),
    "tent": ("family", "ultralight", "dome", "winter", "tunnel", "canvas-top", "solo"),
    "clock": ("wall", "pendulum", "alarm", "digital", "antique", "silent", "travel"),
    "game": ("strategy", "card", "cooperative", "dice", "party", "quiz", "solitaire"),
}
