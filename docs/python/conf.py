"""Sphinx reads this; scripts/docs runs it on the package in the build tree."""

import mailsbuddy

project = "mailsbuddy"
version = release = mailsbuddy.__version__
html_title = f"mailsbuddy {release} for Python"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest"]
html_theme = "alabaster"
html_theme_options = {"description": "A mail send engine as a library", "fixed_sidebar": True, "page_width": "1080px"}
html_show_copyright = False
html_show_sourcelink = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
