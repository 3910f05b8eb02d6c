{# Stops every dbt command that asks for a scorer which does not exist, before anything is scored by another one. #}
{% macro require_known_scorer() -%}
    {%- set scorer = env_var('EMBEDDING_STORE_SCORER', 'python') -%}
    {%- if scorer not in ['python', 'sql'] -%}
        {{ exceptions.raise_compiler_error("EMBEDDING_STORE_SCORER: '" ~ scorer ~ "' is no scorer; write python or sql") }}
    {%- endif -%}
{%- endmacro %}
