{# The name and the version of the rules by which dataset_candidates keeps objects out; raised with every change of them. #}
{% macro exclusion_rules() %}exclusions/1{% endmacro %}
